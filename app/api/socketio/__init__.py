"""Socket.IO beside HTTP on the same port: the events of two older protocols, over the same services."""
