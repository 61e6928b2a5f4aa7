"""What may go wrong, and what users may do: each gives a sentence and the right status."""


class Failure(Exception):
    pass


TESTS = []
