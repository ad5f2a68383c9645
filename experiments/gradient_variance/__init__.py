"""Gradient estimators side by side: variance, bias, time, and what they do in training."""
