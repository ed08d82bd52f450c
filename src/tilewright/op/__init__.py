"""The one door for arrays: check, geometry, plan, call. Forward and gradients."""
