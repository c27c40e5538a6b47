"""Text: words, running text, tags, pairs of languages, labelled sentences."""
