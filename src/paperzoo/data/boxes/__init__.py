"""Pictures with boxes or quadrilaterals around what they show."""
