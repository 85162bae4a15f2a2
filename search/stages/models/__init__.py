"""Float models: teacher, students, quantization-aware training, export."""
