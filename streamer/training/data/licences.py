"""Lists the sources of training data and their licences."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from streamer.model.manifest import DataSource

ENCODERS: Mapping[int, DataSource] = MappingProxyType(
    {
        width: DataSource(
            name=f"encoder of OpenAI Whisper {name}",
            licence="MIT",
            url="https://github.com/openai/whisper",
        )
        for width, name in ((384, "tiny.en"), (512, "base (multilingual)"))
    }
)
"""Encoders by the width of their states."""

PUBLIC_CORPORA: Mapping[str, DataSource] = MappingProxyType(
    {
        "ravdess": DataSource(
            name="RAVDESS, speech (North American English)",
            licence="CC BY-NC-SA 4.0",
            url="https://doi.org/10.5281/zenodo.1188976",
        ),
        "crema-d": DataSource(
            name="CREMA-D (American English)",
            licence="ODbL 1.0, contents DbCL 1.0",
            url="https://github.com/CheyneyComputerScience/CREMA-D",
        ),
        "tess": DataSource(
            name="TESS (Canadian English)",
            licence="CC BY-NC-ND 4.0",
            url="https://doi.org/10.5683/SP2/E8H2MF",
        ),
        "savee": DataSource(
            name="SAVEE (British English)",
            licence="research only",
            url="http://kahlan.eps.surrey.ac.uk/savee/",
        ),
        "nemo": DataSource(
            name="nEMO (Polish)",
            licence="CC BY-NC-SA 4.0",
            url="https://github.com/amu-cai/nEMO",
        ),
        "ased": DataSource(
            name="ASED (Amharic)",
            licence="none stated",
            url="https://github.com/Ethio2021/ASED_V1",
        ),
        "casia": DataSource(
            name="CASIA Chinese emotional speech, sample (Mandarin)",
            licence="proprietary sample",
        ),
        "banglaser": DataSource(
            name="BanglaSER (Bangla)",
            licence="CC BY 4.0",
            url="https://doi.org/10.17632/t9h6p943xy.5",
        ),
        "turev": DataSource(name="TurEV-DB (Turkish)", licence="CC BY-NC-ND 4.0"),
        "emotiontts-ko": DataSource(
            name="Emotion TTS (Korean)", licence="CC BY-NC-SA 4.0, research only"
        ),
        "indian-emospeech": DataSource(
            name="IndianEmoSpeech (Hindi, Indian English commands)", licence="CC BY-NC-SA 4.0"
        ),
    }
)

UNKNOWN_LICENCE = "not stated: ask whoever made the recordings"


ORDINARY_SPEECH: Mapping[str, DataSource] = MappingProxyType(
    {
        "librispeech_resemblyzer": DataSource(
            name="LibriSpeech, read English", licence="CC BY 4.0", url="https://www.openslr.org/12"
        ),
        "speechocean762": DataSource(
            name="speechocean762, English of Mandarin speakers",
            licence="free for any use",
            url="https://www.openslr.org/101",
        ),
        "alphanumeric_duke": DataSource(
            name="names and addresses on people's devices", licence="MIT"
        ),
        "picovoice_intent": DataSource(name="Picovoice, spoken commands", licence="Apache-2.0"),
        "precise_community": DataSource(
            name="Precise, wake words and near-misses", licence="public domain or CC, by file"
        ),
        "ivr_prompts": DataSource(
            name="Asterisk, telephone prompts in five languages", licence="CC BY-SA 3.0"
        ),
        "swahili_lig": DataSource(name="read Swahili", licence="MIT"),
        "yoruba_lig": DataSource(name="read Yoruba", licence="MIT"),
        "cherokee": DataSource(name="read Cherokee", licence="CC0 1.0"),
    }
)


SOUND_COLLECTIONS: Mapping[str, DataSource] = MappingProxyType(
    {
        "nonverbal": DataSource(
            name="Deeply, non-verbal sounds of 400 people", licence="CC BY-NC-ND 4.0"
        ),
    }
)
"""Collections by the name of their folder."""


def sources_of(corpora: Sequence[str], width: int) -> tuple[DataSource, ...]:
    """List the encoder and the corpora, each with its licence as far as it is known.

    Args:
        corpora: Their names.
        width: Width of the states of the encoder.
    """
    encoder = ENCODERS.get(width, DataSource(name="encoder", licence=UNKNOWN_LICENCE))
    return encoder, *_known(corpora, PUBLIC_CORPORA)


def ordinary_sources_of(names: Sequence[str]) -> tuple[DataSource, ...]:
    """List sources of ordinary speech, each with its licence as far as it is known."""
    return _known(names, ORDINARY_SPEECH)


def _known(names: Sequence[str], sources: Mapping[str, DataSource]) -> tuple[DataSource, ...]:
    return tuple(
        sources.get(name, DataSource(name=name, licence=UNKNOWN_LICENCE)) for name in names
    )
