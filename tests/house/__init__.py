"""The rules of the house, each as a test: CONTRIBUTING.md lists them."""
