"""Fits a peer's classifier in its own environment, and prints its answers to the test clips.

python fit.py vectors|net EXAMPLES MODEL

EXAMPLES is an .npz: ``features``, ``emotions``, ``weights`` and ``voices`` of what is learned from,
``tests`` (features); MODEL is written. Prints the emotions of the tests, a line each.
"""

import os
import sys
import warnings

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

KINDS = {
    "vectors": (SVC(), {"classifier__C": (1.0, 4.0, 16.0)}),
    "net": (MLPClassifier((128,), max_iter=60), {"classifier__alpha": (0.1, 1.0, 10.0)}),
}
"""Each with what is tried on a third of the voices while the others are learned from."""


def main() -> None:
    """Choose, fit to everything, and classify the tests."""
    kind, examples, model = sys.argv[1:]
    given = np.load(examples)
    classifier, choices = KINDS[kind]
    steps = Pipeline([("scale", StandardScaler()), ("classifier", classifier)])
    if "random_state" in classifier.get_params():
        steps.set_params(classifier__random_state=0)
    voices = GroupKFold(min(3, len(set(given["voices"]))))
    search = GridSearchCV(
        steps, choices, cv=voices, scoring="balanced_accuracy", n_jobs=os.cpu_count()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(
            given["features"],
            given["emotions"],
            groups=given["voices"],
            classifier__sample_weight=given["weights"],
        )
    joblib.dump(search.best_estimator_, model)
    if len(given["tests"]):
        print("\n".join(search.predict(given["tests"])))


if __name__ == "__main__":
    main()
