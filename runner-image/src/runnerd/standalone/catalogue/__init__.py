"""The models of a stand-alone server: what is there, under which names, and how more come."""
