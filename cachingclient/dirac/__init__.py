"""DIRAC 8, 9 and DiracX: jobs at grid sites, the files' catalogue, and credentials for them."""
