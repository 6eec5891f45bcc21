#!/bin/sh
# Make both models anew, with their figures: a night on two cores.
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

# Two rounds of fine-tuning, half of the way back to the encoder as it came, a third round from there, and
# half of the way into a fourth. (Those of the models that are here were made by older programs, but for the last,
# and the first ones of the shipped one in another order: models/default/bundle.json, docs/cards/default.md.)
tune() { # OUT WITHOUT
    rounds="$made/$(basename "$1" .safetensors)"
    [ -f "$rounds-1.safetensors" ] ||
        $streamer finetune $manifest --encoder "$encoder" $2 --out "$rounds-1.safetensors"
    [ -f "$rounds-2.safetensors" ] ||
        $streamer finetune $manifest --encoder "$rounds-1.safetensors" $2 --steps 2700 \
            --out "$rounds-2.safetensors"
    [ -f "$rounds-mean.safetensors" ] ||
        $streamer average "$rounds-2.safetensors" "$encoder" --out "$rounds-mean.safetensors"
    [ -f "$rounds-3.safetensors" ] ||
        $streamer finetune $manifest --encoder "$rounds-mean.safetensors" $2 --seed 2 \
            --out "$rounds-3.safetensors"
    [ -f "$rounds-4.safetensors" ] ||
        $streamer finetune $manifest --encoder "$rounds-3.safetensors" $2 --seed 3 --steps 2200 \
            --out "$rounds-4.safetensors"
    $streamer average "$rounds-4.safetensors" "$rounds-3.safetensors" --out "$1"
}

# One encoder that has heard everybody, for use.
[ -f "$made/all.safetensors" ] || tune "$made/all.safetensors" ""

# One that has not, to test and to calibrate with. It is kept with the program, so that whoever wants
# the figures again need not wait for it: without the file it is made anew.
part=benchmarks/encoders/part.safetensors
[ -f "$part" ] || tune "$part" "--without ravdess:1,ravdess:2,crema-d:1,crema-d:2,savee:1,nemo"

test_default() { # PROTOCOL VARIATIONS
    $streamer evaluate $manifest --encoder "$part" --protocol "$1" \
        --variations "$2" --out "$figures/default-$1"
}
seconds="first 0.5 s,first 1 s,first 1.5 s,first 2 s,first 3 s,\
rolling 1 s,rolling 1.5 s,rolling 2 s,rolling 3 s"
test_default ravdess "plain,$seconds,telephone A-law,telephone mu-law,noise 10 dB,\
gain -30 dB,gain +20 dB,room 0.5 s"
test_default crema-d "plain,first 0.5 s,first 1 s"
test_default savee "plain,$seconds,telephone A-law"
test_default corpus-out plain
$streamer evaluate $manifest --encoder "$part" --protocol no-speech $heard \
    --out "$figures/default-no-speech"
$streamer train $manifest --encoder "$made/all.safetensors" --calibrator "$part" \
    $heard --out models/default --version 9 --notes docs/cards/default.md \
    --speech-figures "$figures/default-no-speech" --figures "$figures/default-ravdess" \
    --figures "$figures/default-crema-d" --figures "$figures/default-savee" \
    --figures "$figures/default-corpus-out"

# For people who must not depend on non-commercial recordings: the encoder as it came, one corpus,
# and no sounds but made-up ones. (The one that is here is version 5, made by an older program.)
$streamer evaluate $manifest --corpora crema-d --encoder "$encoder" --protocol crema-d \
    --variations "plain,first 0.5 s,first 1 s" --out "$figures/open-crema-d"
$streamer train $manifest --corpora crema-d --encoder "$encoder" --out models/open --version 6 \
    --notes docs/cards/open.md --figures "$figures/open-crema-d"
