"""What a paper predicts in closed form. Never sees a measurement that it is compared with."""
