"""The program in a runner pod: one engine supervised, its weights resolved and pulled."""
