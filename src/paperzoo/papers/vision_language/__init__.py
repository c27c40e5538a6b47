"""Pictures and sentences: captions, questions, pictures from words."""
