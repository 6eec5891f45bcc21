#!/bin/sh
# Make both models anew, with their figures: an hour with a GPU, some days on two cores.
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

# Three short rounds of fine-tuning without whom is tested; from their mean three long ones; of these and, a third, of the
# encoder as it came, the mean. (The models that are here began with the best of twelve: docs/experiments, note 025.)
untested="--without ravdess:1,ravdess:2,crema-d:1,crema-d:2,savee:1,nemo"
three() { # OUT FROM STEPS WITHOUT
    rounds="$made/$(basename "$1" .safetensors)"
    for seed in 0 1 2; do
        [ -f "$rounds-$seed.safetensors" ] ||
            $streamer finetune $manifest --encoder "$2" $4 --steps "$3" --seed $seed \
                --out "$rounds-$seed.safetensors"
    done
    $streamer average "$rounds-0.safetensors" "$rounds-1.safetensors" "$rounds-2.safetensors" --out "$1"
}
tune() { # OUT WITHOUT
    mean="$made/mean-$(basename "$1")"
    [ -f "$made/begun.safetensors" ] || three "$made/begun.safetensors" "$encoder" 3000 "$untested"
    [ -f "$mean" ] || three "$mean" "$made/begun.safetensors" 7800 "$2"
    $streamer average "$mean" "$mean" "$encoder" --out "$1"
}

# One encoder that has heard everybody, for use.
[ -f "$made/all.safetensors" ] || tune "$made/all.safetensors" ""

# One that has not, to test and to calibrate with. It is kept with the program, so that whoever wants
# the figures again need not wait for it: without the file it is made anew.
part=benchmarks/encoders/part.safetensors
[ -f "$part" ] || tune "$part" "$untested"

test_default() { # PROTOCOL VARIATIONS
    $streamer evaluate $manifest --encoder "$part" --protocol "$1" \
        --variations "$2" --out "$figures/default-$1"
}
seconds="first 0.5 s,first 1 s,first 1.5 s,first 2 s,first 3 s,\
rolling 1 s,rolling 1.5 s,rolling 2 s,rolling 3 s"
test_default ravdess "plain,$seconds,telephone A-law,telephone mu-law,noise 10 dB,\
gain -30 dB,gain +20 dB,room 0.5 s"
test_default crema-d "plain,$seconds"
test_default savee "plain,$seconds,telephone A-law"
test_default corpus-out plain
# Each corpus unheard in turn: the encoder as it came is the only one that has heard none of them.
$streamer evaluate $manifest --encoder "$encoder" --protocol corpus-out --out "$figures/frozen-corpus-out"
$streamer evaluate $manifest --encoder "$part" --protocol no-speech $heard \
    --out "$figures/default-no-speech"
$streamer train $manifest --encoder "$made/all.safetensors" --calibrator "$part" \
    $heard --out models/default --version 11 --notes docs/cards/default.md \
    --speech-figures "$figures/default-no-speech" --figures "$figures/default-ravdess" \
    --figures "$figures/default-crema-d" --figures "$figures/default-savee" \
    --figures "$figures/default-corpus-out"

# For people who must not depend on non-commercial recordings: the encoder as it came, one corpus,
# and no sounds but made-up ones. (The one that is here is version 5, made by an older program, and
# better than what comes out of this one: docs/experiments, note 028.)
$streamer evaluate $manifest --corpora crema-d --encoder "$encoder" --protocol crema-d \
    --variations "plain,first 0.5 s,first 1 s" --out "$figures/open-crema-d"
$streamer train $manifest --corpora crema-d --encoder "$encoder" --out models/open --version 6 \
    --notes docs/cards/open.md --figures "$figures/open-crema-d"
