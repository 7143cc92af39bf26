"""What devices are set to, in words that are no vendor's: vocabulary, limits, and the plan from one to the other."""
