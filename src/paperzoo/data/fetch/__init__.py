"""Where bytes come from: transports, archives, pickles, what is prepared once, and which files a run has seen."""
