"""The ablation: which synthetic images help, how many, and how sure that is."""
