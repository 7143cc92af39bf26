"""Beward intercoms: DKS panels of apartment houses and DS panels of single doors."""
