# Stands in for the container's program. Usage: report.sh KIND DATE
echo "the $1 report of $2, started by $ECS_TRIGGER_ROUTE"
