"""Voice activity: is there speech in this sound?"""
