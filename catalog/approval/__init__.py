"""Apps that wait until somebody lets them into the catalog: steps, approvers, decisions, letters, pages."""
