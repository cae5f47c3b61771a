"""The card of a set: what is in it, in words and in the forms that other tools read.

``README.md`` opens the folder in the Hugging Face `datasets` library (an `imagefolder` with one
configuration), and ``croissant.json`` describes it in Croissant 1.0 (Akhtar et al. 2024,
arXiv 2403.19546), which dataset search engines and `mlcroissant` read.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import yaml

from hzsynth.core.image_record import COLUMNS, METADATA, SPLITS, ImageRecord, metadata_csv
from hzsynth.core.image_set_writer import ImageSetWriter

README, CROISSANT = "README.md", "croissant.json"
_WHAT = {
    "file_name": "path of the image relative to this folder",
    "label": "class",
    "split": "train, val or test",
    "group": "patient or case; images of one group are never in two splits",
    "source": "data set or device",
    "origin": "real, phantom, augmented, light, stylegan2, cyclegan, transplant, diffusion or external",
    "parents": "sha256 of the images that it was made from",
    "run": "id of the generator's run",
    "seed": "seed that made it",
    "sha256": "of the file's bytes",
    "phash": "perceptual hash, 256 bits in hexadecimal",
    "width": "pixels",
    "height": "pixels",
    "licence": "terms of use",
    "mask": "path of the lesion mask",
}
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def attach_card(writer: ImageSetWriter, name: str) -> None:
    """Adds ``README.md`` and ``croissant.json`` to a set that is being written.

    Args:
        writer: holds all images already.
        name: what the card calls the set.

    Raises:
        InputError: the disk is full or not writable.
    """
    writer.attach(README, readme_text(writer.records, name).encode())
    for split in SPLITS[1:]:
        # `datasets` gives every split all rows of the table that it finds for it.
        folder = f"images/{split}"
        rows = [
            replace(record, file_name=record.file_name.removeprefix(f"{folder}/"))
            for record in writer.records
            if record.split == split
        ]
        if rows:
            writer.attach(f"{folder}/{METADATA}", metadata_csv(rows).encode())
    table = metadata_csv(writer.records).encode()
    croissant = croissant_json(writer.records, name, hashlib.sha256(table).hexdigest())
    writer.attach(CROISSANT, json.dumps(croissant, indent=2, ensure_ascii=False).encode())


def readme_text(records: Sequence[ImageRecord], name: str) -> str:
    """The card in Markdown; its header tells `datasets` where each split lies."""
    splits = [split for split in SPLITS if any(r.split == split for r in records)]
    files = [
        {
            "split": {"val": "validation"}.get(split, split) or "train",
            "path": f"images/{split}/**" if split else [METADATA, "images/**"],
        }
        for split in splits
    ]
    header = {
        "pretty_name": name,
        "task_categories": ["image-classification"],
        "tags": ["medical", "dermatology"],
        "configs": [{"config_name": "default", "data_files": files, "drop_labels": True}],
    }
    licences = sorted({record.licence for record in records if record.licence})
    sources = Counter(record.source or "unknown" for record in records)
    groups = len({record.group for record in records if record.group})
    lines = [
        "---",
        yaml.safe_dump(header, sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        f"# {name}",
        "",
        f"{len(records)} images of {len({r.label for r in records})} classes, "
        f"{groups} named patients or cases. Written by hzsynth; research use only.",
        "",
        *_counts_table(records, splits),
        "",
        "## Sources",
        "",
        *(f"- {source}: {count} images" for source, count in sorted(sources.items())),
        "",
        "## Terms of use",
        "",
        *(f"- {licence}" for licence in licences or ["not stated by the sources"]),
        "",
        f"## Columns of {METADATA}",
        "",
        *(f"- `{column}`: {_WHAT[column]}" for column in COLUMNS),
    ]
    return "\n".join(lines) + "\n"


def _counts_table(records: Sequence[ImageRecord], splits: Sequence[str]) -> list[str]:
    counts = Counter((record.label, record.split) for record in records)
    names = [split or "images" for split in splits]
    rows = ["| class | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for label in sorted({record.label for record in records}):
        shown = label.replace("|", "\\|")
        numbers = " | ".join(str(counts[label, split]) for split in splits)
        rows.append(f"| {shown} | {numbers} |")
    return rows


def croissant_json(records: Sequence[ImageRecord], name: str, table_sha256: str) -> dict[str, Any]:
    """The set in Croissant 1.0.

    Args:
        records: the rows.
        name: of the set.
        table_sha256: of the bytes of ``metadata.csv``.

    Returns:
        JSON-LD as plain values.
    """
    licences = sorted({record.licence for record in records if record.licence})
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"images/{column}",
            "name": f"images/{column}",
            "description": _WHAT[column],
            "dataType": "sc:Integer" if column in ("width", "height") else "sc:Text",
            "source": {"fileObject": {"@id": METADATA}, "extract": {"column": column}},
        }
        for column in COLUMNS
    ]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": f"{len(records)} skin images of {len({r.label for r in records})} classes.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": "; ".join(licences) or "not stated",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": METADATA,
                "name": METADATA,
                "contentUrl": METADATA,
                "encodingFormat": "text/csv",
                "sha256": table_sha256,
            },
        ],
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": "images", "name": "images", "field": fields}
        ],
    }
