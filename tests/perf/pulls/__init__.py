"""What pulls are measured with: servers that hold one model, and programs that fetch it."""
