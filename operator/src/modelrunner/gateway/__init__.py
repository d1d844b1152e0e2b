"""The gateway process: one door for every client and every model."""
