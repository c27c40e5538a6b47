"""Answering questions about pictures: accuracy, also by kind of question, beside what is right without looking."""

from paperzoo.tasks.questions.contract import Answerer, Reply
from paperzoo.tasks.questions.task import QuestionAnswering

__all__ = ["Answerer", "QuestionAnswering", "Reply"]
