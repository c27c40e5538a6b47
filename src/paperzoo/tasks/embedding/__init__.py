"""Vectors for words: neighbours, analogies, agreement with people, a map."""

from paperzoo.tasks.embedding.contract import Embedding, Neighbours, Vectors, load_vectors
from paperzoo.tasks.embedding.task import WordEmbedding

__all__ = ["Embedding", "Neighbours", "Vectors", "WordEmbedding", "load_vectors"]
