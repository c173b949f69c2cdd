# Prints the distributions of the environment that runs this, as `tierce_native::Installed` reads
# them.
import importlib.metadata

for distribution in importlib.metadata.distributions():
    separator = "@" if distribution.read_text("direct_url.json") else "=="
    print(distribution.metadata["Name"] + separator + distribution.version)
