#!/bin/sh
# Make both models anew, with their figures: about five hours on two cores with AMX, more without.
#   tools/make_models.sh CORPORA ENCODER [SOUNDS]
#     CORPORA  folder with manifest.csv and the recordings
#     ENCODER  Whisper tiny.en's encoder as safetensors
#     SOUNDS   what tools/collect_sounds.py collected
set -eu

corpora=${1:?folder with manifest.csv} encoder=${2:?encoder as safetensors} sounds=${3:-}
cd "$(dirname "$0")/.."
streamer=.venv/bin/streamer
made=.cache/encoders
figures=docs/figures
mkdir -p "$made"

manifest="--manifest $corpora/manifest.csv"
heard=${sounds:+--sounds $sounds}

# One encoder that has heard everybody, for use; one that has not, to test and to calibrate with.
# Two rounds each, the second averaged with the first. (The first rounds of the models that are
# here had a rate of 2.5e-4, a third of the batches seen in chunks, and no warped bands: bundle.json.)
finetuned() { # NAME, and whom to leave out
    name=$1 && shift
    [ -f "$made/$name-1.safetensors" ] ||
        $streamer finetune $manifest --encoder "$encoder" --out "$made/$name-1.safetensors" "$@"
    [ -f "$made/$name.safetensors" ] ||
        $streamer finetune $manifest --encoder "$made/$name-1.safetensors" --stay 0.5 \
            --out "$made/$name.safetensors" "$@"
}
finetuned all
finetuned part --without ravdess:1,ravdess:2,crema-d:1,crema-d:2,savee:1,nemo

test_default() { # PROTOCOL VARIATIONS
    $streamer evaluate $manifest --encoder "$made/part.safetensors" --protocol "$1" \
        --variations "$2" --out "$figures/default-$1"
}
test_default ravdess "plain,first 0.5 s,first 1 s,telephone A-law,telephone mu-law,noise 10 dB,\
gain -30 dB,gain +20 dB,room 0.5 s"
test_default crema-d "plain,first 0.5 s,first 1 s"
test_default savee "plain,first 0.5 s,first 1 s,telephone A-law"
test_default corpus-out plain
$streamer evaluate $manifest --encoder "$made/part.safetensors" --protocol no-speech $heard \
    --out "$figures/default-no-speech"
$streamer train $manifest --encoder "$made/all.safetensors" --calibrator "$made/part.safetensors" \
    $heard --out models/default --version 5 --notes docs/cards/default.md \
    --speech-figures "$figures/default-no-speech" --figures "$figures/default-ravdess" \
    --figures "$figures/default-crema-d" --figures "$figures/default-savee" \
    --figures "$figures/default-corpus-out"

# For people who must not depend on non-commercial recordings: the encoder as it came, one corpus,
# and no sounds but made-up ones.
$streamer evaluate $manifest --corpora crema-d --encoder "$encoder" --protocol crema-d \
    --variations "plain,first 0.5 s,first 1 s" --out "$figures/open-crema-d"
$streamer train $manifest --corpora crema-d --encoder "$encoder" --out models/open --version 5 \
    --notes docs/cards/open.md --figures "$figures/open-crema-d"
