"""Reading and writing a file, as a step does."""


def read(path):
    with open(path) as file:
        return file.read()


def write(path, text="x"):
    with open(path, "w") as file:
        file.write(text)
