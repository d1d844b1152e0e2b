"""Words that the operator, the gateway and the runners share. Standard library only, no I/O."""
