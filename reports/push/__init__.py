"""One candidate brought to where teams keep models: MLflow, a folder, the Hugging Face hub, the dashboard."""
