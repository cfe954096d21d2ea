"""Events for the example, where there are no files of one's own, and the training of its model on more of them."""
