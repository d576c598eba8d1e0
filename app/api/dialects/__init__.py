"""Wire vocabularies for the same events. [pure]"""
