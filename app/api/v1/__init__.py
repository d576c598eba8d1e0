"""The first version of the surface; some of its addresses lack the number because clients fixed them."""
