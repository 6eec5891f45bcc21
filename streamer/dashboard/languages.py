"""The words for emotions on the screen, by language; files keep the English ones."""

from collections.abc import Mapping

from streamer.config import DashboardConfig, Language
from streamer.types import EMOTIONS, NO_SPEECH, UNCERTAIN

NAMES = (*EMOTIONS, UNCERTAIN, NO_SPEECH)
"""The emotions and the like that have words, in the order of the words below."""

WORDS: Mapping[Language, tuple[str, ...]] = {
    "en": ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised",
           "uncertain", "no speech"),
    "de": ("neutral", "ruhig", "fröhlich", "traurig", "wütend", "ängstlich", "angeekelt",
           "überrascht", "unsicher", "keine Sprache"),
    "es": ("neutral", "calma", "alegría", "tristeza", "enfado", "miedo", "asco", "sorpresa",
           "dudoso", "sin voz"),
    "fr": ("neutre", "calme", "joie", "tristesse", "colère", "peur", "dégoût", "surprise",
           "incertain", "pas de parole"),
    "pl": ("neutralność", "spokój", "radość", "smutek", "złość", "strach", "wstręt",
           "zaskoczenie", "niepewne", "brak mowy"),
    "zh": ("中性", "平静", "高兴", "悲伤", "愤怒", "恐惧", "厌恶", "惊讶", "不确定", "无语音"),
}  # fmt: skip

ENGLISH = dict(zip(NAMES, WORDS["en"], strict=True))


def words(config: DashboardConfig) -> dict[str, str]:
    """The words of the chosen language, except those that the configuration sets."""
    usual = zip(NAMES, WORDS[config.language], strict=True)
    return {**dict(usual), **{str(name): text for name, text in config.labels.items()}}
