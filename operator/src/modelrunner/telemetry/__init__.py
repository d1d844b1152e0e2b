"""What the operator process tells about itself: metrics and logs."""
