"""Day loads, merging, tiers, history read across tiers and publishing."""
