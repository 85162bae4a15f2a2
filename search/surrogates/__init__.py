"""What is predicted from numbers alone: costs on a device, quality, the ends of trainings, expected gain."""
