"""Weights in registries: artifacts as Docker Model Runner and CNCF ModelPack lay them out."""
