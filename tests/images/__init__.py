"""The two images, built from this tree with whichever builder the machine has."""
