"""One experiment, one file: it trains several papers, draws one figure, and states what was found."""
