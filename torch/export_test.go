package torch

// For tests of other packages' kind: what the binding takes for the sizes of c10d's ProcessGroupNCCL and its Options.
var NCCLGroupBytes, NCCLOptionsBytes = ncclBytes.group, ncclBytes.options
