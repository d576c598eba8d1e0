"""End of turn: is the rider done, or only thinking?"""
