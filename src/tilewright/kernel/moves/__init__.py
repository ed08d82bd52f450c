"""Compiled passes that move samples: padding, cropping, unfolding, and back."""
