"""The evaluation: simulated riders talk to a real server, and the stored bookings are graded."""
