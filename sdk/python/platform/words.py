"""Writes src/wardein/words.py, the closed words that a platform meets, from a descriptor set of proto/: sdk/generate.sh runs it."""

import sys
from collections.abc import Iterator

from google.protobuf import descriptor_pb2

# Where they are, and in which order they are written.
WORDS = {
    "wardein/v1/trust.proto": ("Verdict", "Reason", "OfflineUse"),
    "wardein/v1/words.proto": ("DeviceState", "Assurance", "PcrStanding"),
}
# The field `enum_type` of FileDescriptorProto, and `value` of EnumDescriptorProto, in a SourceCodeInfo path.
ENUM, VALUE = 5, 2

HEAD = '''"""The closed words of the contract. sdk/generate.sh writes this from proto/: do not edit it."""

from .word import Word

__all__ = [{names}]
'''


def screaming(name: str) -> str:
    """DeviceState -> DEVICE_STATE_: the prefix of its values."""
    return "".join("_" * (letter.isupper() and at > 0) + letter.upper() for at, letter in enumerate(name)) + "_"


def written(file: descriptor_pb2.FileDescriptorProto, name: str) -> Iterator[str]:
    comments = {tuple(at.path): at.leading_comments.strip() for at in file.source_code_info.location}
    number = next(number for number, each in enumerate(file.enum_type) if each.name == name)
    yield f"\n\nclass {name}(Word):\n"
    yield f'    """{first_sentence(comments[ENUM, number])}"""\n'
    for at, value in enumerate(file.enum_type[number].value):
        yield f"\n    # {first_sentence(comments[ENUM, number, VALUE, at])}"
        yield f"\n    {value.name.removeprefix(screaming(name))} = {value.number}"
    yield "\n"


def first_sentence(comment: str) -> str:
    return " ".join(comment.split()).split(". ")[0].rstrip(".") + "."


def main() -> None:
    described = descriptor_pb2.FileDescriptorSet()
    with open(sys.argv[1], "rb") as given:
        described.ParseFromString(given.read())
    files = {file.name: file for file in described.file}
    names = sorted(name for names in WORDS.values() for name in names)
    sys.stdout.write(HEAD.format(names=", ".join(f'"{name}"' for name in names)))
    for file, wanted in WORDS.items():
        for name in wanted:
            sys.stdout.writelines(written(files[file], name))


main()
