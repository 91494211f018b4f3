"""The supervising process: policy, loop, generations."""
