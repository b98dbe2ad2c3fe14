"""The drawn shop: product pictures made of vector shapes, and the words that people order them with."""
