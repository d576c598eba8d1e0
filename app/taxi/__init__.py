"""The taxi domain: rules, agents and the graph that joins them."""
