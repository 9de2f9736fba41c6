"""Why a model decides, and how far it can be trusted: explanations, then figures."""
