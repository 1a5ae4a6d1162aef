"""How good are the samples?  One file a question; arrays in, small results with uncertainty out."""
